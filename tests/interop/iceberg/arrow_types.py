"""Iceberg's name for an Arrow type, for queries whose columns no schema describes (metadata tables, metadata columns)."""

import pyarrow.types as pat

SIMPLE = ((pat.is_boolean, "boolean"), (pat.is_int64, "long"), (pat.is_integer, "int"), (pat.is_float32, "float"), (pat.is_float64, "double"),
          (pat.is_date, "date"), (pat.is_time, "time"), (pat.is_string, "string"), (pat.is_large_string, "string"), (pat.is_binary, "binary"),
          (pat.is_large_binary, "binary"), (pat.is_null, "unknown"))


def plain_type(type_):
    if pat.is_struct(type_):
        return {"type": "struct", "fields": [{"name": type_.field(i).name, "type": plain_type(type_.field(i).type)} for i in range(type_.num_fields)]}
    if pat.is_map(type_):
        return {"type": "map", "key": plain_type(type_.key_type), "value": plain_type(type_.item_type)}
    if pat.is_list(type_) or pat.is_large_list(type_):
        return {"type": "list", "element": plain_type(type_.value_type)}
    if pat.is_timestamp(type_):
        return f"timestamp{'tz' if type_.tz else ''}{'_ns' if type_.unit == 'ns' else ''}"
    if pat.is_decimal(type_):
        return f"decimal({type_.precision}, {type_.scale})"
    if pat.is_fixed_size_binary(type_):
        return f"fixed[{type_.byte_width}]"
    for is_it, name in SIMPLE:
        if is_it(type_):
            return name
    raise ValueError(f"no Iceberg type for {type_}")


def columns_of(table):
    return [{"name": field.name, "type": plain_type(field.type)} for field in table.schema]
