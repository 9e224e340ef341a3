-- /// audience
-- about    = "Bought at least twice, then silent for 90 to 180 days"
-- owner    = "crm@example.com"
-- key      = "customer_id"
-- schedule = "0 5 * * *"
--
-- [sync.file]
-- list = "Lapsed buyers"
-- send = ["email", "first_name", "orders"]
-- ///
-- Twice, because one order may have been a gift. Beyond 180 days hardly anyone comes back, and mail only annoys.
select c.customer_id, c.email, c.first_name, count(*) as orders
from shop.orders as o
join shop.customers as c on c.customer_id = o.customer_id
group by c.customer_id, c.email, c.first_name
having count(*) >= 2
    and max(o.ordered_on) < current_date - 90
    and max(o.ordered_on) >= current_date - 180
