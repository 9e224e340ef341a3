-- /// audience
-- about    = "Bought on 4 or more days of the last year, and within the last 90 days"
-- owner    = "crm@example.com"
-- key      = "customer_id"
-- schedule = "0 5 * * *"
--
-- [sync.file]
-- list = "Loyal customers"
-- send = ["email", "first_name", "orders"]
-- ///
-- Days, not orders: two baskets on one afternoon are one visit. A year, so that a season cannot make or break it.
select c.customer_id, c.email, c.first_name, count(distinct o.ordered_on) as orders
from shop.orders as o
join shop.customers as c on c.customer_id = o.customer_id
where o.ordered_on >= current_date - 365
group by c.customer_id, c.email, c.first_name
having count(distinct o.ordered_on) >= 4 and max(o.ordered_on) >= current_date - 90
