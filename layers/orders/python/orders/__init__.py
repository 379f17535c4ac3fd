"""What the functions share: the API edge, the database connection, errors, paging, models and the rules for writes."""
