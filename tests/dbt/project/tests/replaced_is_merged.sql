(select order_id, amount, status from {{ ref('orders_replaced') }} except select order_id, amount, status from {{ ref('orders_merged') }})
union all
(select order_id, amount, status from {{ ref('orders_merged') }} except select order_id, amount, status from {{ ref('orders_replaced') }})
