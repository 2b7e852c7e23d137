count(rating){window}
