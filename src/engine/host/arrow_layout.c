#include "engine/host/arrow_wire.h"

static bool fixed(struct arrow_layout *layout, uint32_t width)
{
    *layout = (struct arrow_layout){.kind = LAYOUT_FIXED, .width = width};
    return true;
}

static bool integer(struct arrow_layout *layout, uint32_t width, bool is_unsigned)
{
    (void)fixed(layout, width);
    layout->is_integer = true;
    layout->is_unsigned = is_unsigned;
    return true;
}

static bool with_offsets(struct arrow_layout *layout, enum arrow_layout_kind kind, bool is_large)
{
    *layout = (struct arrow_layout){.kind = kind, .is_large = is_large};
    return true;
}

/* "w:12", "+w:3": the number; 0 is a width too. */
static bool number_of(const char *text, uint32_t *ret_number)
{
    uint64_t number;
    if (!slice_to_u64(slice_of(text), &number) || number > 1u << 20) {
        return false;
    }
    *ret_number = (uint32_t)number;
    return true;
}

/* "d:10,2" is of 128 bits, "d:10,2,64" of as many as it says. */
static bool decimal(const char *format, struct arrow_layout *layout)
{
    const char *comma = strchr(format, ',');
    const char *bits = comma == NULL ? NULL : strchr(comma + 1, ',');
    uint32_t width = 128;
    if (comma == NULL || (bits != NULL && !number_of(bits + 1, &width))) {
        return false;
    }
    return (width == 32 || width == 64 || width == 128 || width == 256) && fixed(layout, width / 8);
}

static bool temporal(const char *format, struct arrow_layout *layout)
{
    switch (format[1]) {
    case 'd':
        return fixed(layout, format[2] == 'D' ? 4 : 8);
    case 't':
        return fixed(layout, format[2] == 's' || format[2] == 'm' ? 4 : 8);
    case 's':
    case 'D':
        return fixed(layout, 8);
    case 'i':
        return fixed(layout, format[2] == 'n' ? 16 : format[2] == 'D' ? 8 : 4);
    default: /* characters */
        return false;
    }
}

static bool nested(const char *format, struct arrow_layout *layout)
{
    switch (format[1]) {
    case 'l':
    case 'm':
        return with_offsets(layout, LAYOUT_LIST, false);
    case 'L':
        return with_offsets(layout, LAYOUT_LIST, true);
    case 's':
        *layout = (struct arrow_layout){.kind = LAYOUT_STRUCT};
        return true;
    case 'u':
        *layout = (struct arrow_layout){.kind = LAYOUT_UNION};
        return format[2] == 's' && format[3] == ':';
    case 'w':
        *layout = (struct arrow_layout){.kind = LAYOUT_FIXED_LIST};
        return format[2] == ':' && number_of(format + 3, &layout->width);
    default: /* characters */
        return false;
    }
}

bool arrow_layout_of(const char *format, struct arrow_layout *ret_layout)
{
    static const char sizes[] = "csil";
    const char *size = format[0] == '\0' ? NULL : strchr(sizes, format[0] | 0x20);
    bool is_one = format[0] != '\0' && format[1] == '\0';
    if (size != NULL && is_one) {
        return integer(ret_layout, 1u << (size - sizes), format[0] < 'a');
    }
    switch (format[0]) {
    case 'n':
        *ret_layout = (struct arrow_layout){.kind = LAYOUT_NULL};
        return is_one;
    case 'b':
        *ret_layout = (struct arrow_layout){.kind = LAYOUT_BITS};
        return is_one;
    case 'e':
        return is_one && fixed(ret_layout, 2);
    case 'f':
        return is_one && fixed(ret_layout, 4);
    case 'g':
        return is_one && fixed(ret_layout, 8);
    case 'z':
    case 'u':
        return is_one && with_offsets(ret_layout, LAYOUT_BYTES, false);
    case 'Z':
    case 'U':
        return is_one && with_offsets(ret_layout, LAYOUT_BYTES, true);
    case 'w':
        return format[1] == ':' && fixed(ret_layout, 0) &&
               number_of(format + 2, &ret_layout->width);
    case 'd':
        return format[1] == ':' && decimal(format, ret_layout);
    case 't':
        return temporal(format, ret_layout);
    case '+':
        return nested(format, ret_layout);
    default: /* characters */
        return false;
    }
}
