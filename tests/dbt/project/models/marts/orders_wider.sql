{{ config(materialized='incremental', incremental_strategy='merge', unique_key=['order_id', 'country'], on_schema_change='append_new_columns') }}
select order_id, country, amount{% if var('with_status', false) %}, status{% endif %} from {{ ref('stg_orders') }}
