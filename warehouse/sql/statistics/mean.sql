avg(rating){window}
