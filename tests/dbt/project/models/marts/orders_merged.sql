{{ config(materialized='incremental', incremental_strategy='merge', unique_key='order_id', merge_exclude_columns=['updated_on']) }}
select * from {{ ref('stg_orders') }}
{% if is_incremental() %}
where updated_at > (select max(updated_at) from {{ this }})
{% endif %}
