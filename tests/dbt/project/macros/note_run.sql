{# A line for each run that builds something: hooks write to the lake like models do. #}
{% macro note_run() %}
  {% if flags.WHICH in ('run', 'build') %}
    create table if not exists {{ target.schema }}.dbt_runs (invocation varchar, started timestamp, results integer);
    insert into {{ target.schema }}.dbt_runs values ('{{ invocation_id }}', cast('{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S") }}' as timestamp), {{ results | length }})
  {% endif %}
{% endmacro %}

