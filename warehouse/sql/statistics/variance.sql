var_pop(rating){window}
