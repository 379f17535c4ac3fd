-- A page of orders. The handler puts in which are listed, and in which order.
--
-- The inner limit tells the planner that few rows are wanted. Of an unknown number it expects a tenth of the table; a plan for
-- the number given then seems cheaper than the one that is kept, and planning anew each time is a third of what a list costs.
-- So does a plan for one row, if the planner sees the number: it stands in a subselect.
-- Customers are joined to the page, and not by the view of documents to all orders: PostgreSQL would get memory ready to
-- remember tens of thousands of them, and take a third of the list's time for it.
SELECT
    page.id,
    order_json(
        page.o, c, to_json(ARRAY(SELECT order_item_json(i) FROM order_items AS i WHERE i.order_id = page.id ORDER BY i.id))
    )::text
FROM (SELECT o, id, customer_id, -id AS place FROM orders AS o WHERE {listed} ORDER BY {newest} LIMIT {most}) AS page
JOIN customers AS c ON c.id = page.customer_id
ORDER BY {newest_of_page}
LIMIT (SELECT :rows::bigint)
