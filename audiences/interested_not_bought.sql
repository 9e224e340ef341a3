-- /// audience
-- about    = "Looked at products on 3 or more of the last 14 days and bought nothing in that time"
-- owner    = "marketing@example.com"
-- key      = "customer_id"
-- schedule = "15 * * * *"
--
-- [sync.webhook]
-- list = "Interested, not bought"
-- send = ["email", "first_name", "orders"]
-- ///
-- Three days of looking is a wish, one is a stray click. Any order in the same two weeks answers it.
-- `orders` counts all time, so that the message can greet an old customer as one.
with interest as (
    select customer_id
    from simulated.product_events
    where event = 'Product Viewed' and happened_on >= current_date - 14
    group by customer_id
    having count(distinct happened_on) >= 3
)
select c.customer_id, c.email, c.first_name, count(*) as orders
from interest as i
join shop.customers as c on c.customer_id = i.customer_id
join shop.orders as o on o.customer_id = i.customer_id
group by c.customer_id, c.email, c.first_name
having max(o.ordered_on) < current_date - 14
