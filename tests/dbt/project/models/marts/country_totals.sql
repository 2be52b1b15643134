{{ config(pre_hook="select 1", post_hook="select count(*) from {{ this }}") }}
select c.code, c.name, count(o.order_id) as orders, coalesce(sum(o.amount), 0) as total
from {{ ref('countries') }} c left join {{ ref('stg_orders') }} o on o.country = c.code
group by 1, 2
