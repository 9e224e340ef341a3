-- /// audience
-- about    = "New members on the free plan who made the core feature a habit in their first two weeks"
-- owner    = "growth@example.com"
-- key      = "customer_id"
-- schedule = "0 6 * * *"
--
-- [sync.file]
-- list = "Likely converters"
-- send = ["email", "first_name"]
-- ///
-- The first two weeks tell: four days of use in them, each member measured from their own first day.
-- After 60 days without paying the moment has passed; whoever still uses it a lot is in upsell_candidates.
select c.customer_id, c.email, c.first_name
from simulated.product_events as e
join simulated.product_events as used on used.customer_id = e.customer_id
join simulated.subscriptions as s on s.customer_id = e.customer_id
join shop.customers as c on c.customer_id = e.customer_id
where e.event = 'User Signed Up' and e.happened_on >= current_date - 60
    and used.event = 'Core Feature Used' and used.happened_on < e.happened_on + 14
    and s.plan = 'free'
group by c.customer_id, c.email, c.first_name
having count(distinct used.happened_on) >= 4
