/* Matching of one name against one component of a pattern.
 *
 * Backtracking goes to the last star only, which is enough for a language with one kind of
 * repetition and makes the cost quadratic at worst: patterns come from users. fnmatch was not taken
 * because its meaning depends on the process's locale. */
#include "storage/storage_int.h"

/* The character at `*offset`, which moves past it. A byte that is no UTF-8 counts as a character of
 * its own outside of Unicode, so that every name can be matched. */
static uint32_t next_character(struct slice text, size_t *offset)
{
    unsigned char first = (unsigned char)text.ptr[*offset];
    size_t len = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (len == 1 || text.len - *offset < len ||
        !slice_is_utf8((struct slice){text.ptr + *offset, len}, NULL)) {
        *offset += 1;
        return first < 0x80 ? first : 0x110000u + first;
    }
    uint32_t character = first & (0xFFu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        character = character << 6 | ((unsigned char)text.ptr[*offset + i] & 0x3Fu);
    }
    *offset += len;
    return character;
}

/* A bracket from its "[" at `*offset`, which moves past its "]". False if it is not closed. */
static bool read_bracket(struct slice pattern, size_t *offset, uint32_t character,
                         bool *ret_is_member)
{
    size_t at = *offset + 1;
    bool is_negated = at < pattern.len && (pattern.ptr[at] == '!' || pattern.ptr[at] == '^');
    at += is_negated ? 1 : 0;
    bool is_member = false;
    for (bool is_first = true; at < pattern.len; is_first = false) {
        if (pattern.ptr[at] == ']' && !is_first) {
            *offset = at + 1;
            *ret_is_member = is_member != is_negated;
            return true;
        }
        uint32_t low = next_character(pattern, &at);
        uint32_t high = low;
        if (at + 1 < pattern.len && pattern.ptr[at] == '-' && pattern.ptr[at + 1] != ']') {
            at++;
            high = next_character(pattern, &at);
        }
        is_member = is_member || (low <= character && character <= high);
    }
    return false;
}

/* Matches one character; on success both offsets move past it. */
static bool match_character(struct slice pattern, size_t *pattern_offset, struct slice name,
                            size_t *name_offset)
{
    size_t pattern_at = *pattern_offset;
    size_t name_at = *name_offset;
    uint32_t character = next_character(name, &name_at);
    bool is_match;
    if (pattern.ptr[pattern_at] == '?') {
        pattern_at++;
        is_match = true;
    } else if (pattern.ptr[pattern_at] == '[') {
        is_match = false;
        if (!read_bracket(pattern, &pattern_at, character, &is_match)) {
            return false;
        }
    } else {
        is_match = next_character(pattern, &pattern_at) == character;
    }
    if (is_match) {
        *pattern_offset = pattern_at;
        *name_offset = name_at;
    }
    return is_match;
}

/* A name that begins with "." or "_" is matched only by a pattern that begins with the same. */
static bool is_hidden_from(struct slice component, struct slice name)
{
    return name.len > 0 && (name.ptr[0] == '.' || name.ptr[0] == '_') &&
           (component.len == 0 || component.ptr[0] != name.ptr[0]);
}

bool storage__glob_match(struct slice component, struct slice name)
{
    if (is_hidden_from(component, name)) {
        return false;
    }
    size_t pattern_at = 0;
    size_t name_at = 0;
    size_t star_pattern = SIZE_MAX; /* behind the last star seen */
    size_t star_name = 0;           /* where the rest is tried from */
    while (name_at < name.len) {
        if (pattern_at < component.len && component.ptr[pattern_at] == '*') {
            star_pattern = ++pattern_at;
            star_name = name_at;
        } else if (pattern_at < component.len &&
                   match_character(component, &pattern_at, name, &name_at)) {
            continue;
        } else if (star_pattern != SIZE_MAX) {
            (void)next_character(name, &star_name);
            name_at = star_name;
            pattern_at = star_pattern;
        } else {
            return false;
        }
    }
    while (pattern_at < component.len && component.ptr[pattern_at] == '*') {
        pattern_at++;
    }
    return pattern_at == component.len;
}

bool storage__glob_is_valid(struct slice component)
{
    size_t at = 0;
    while (at < component.len) {
        bool is_member;
        if (component.ptr[at] != '[') {
            at++;
        } else if (!read_bracket(component, &at, 0, &is_member)) {
            return false;
        }
    }
    return true;
}

bool storage__glob_is_plain(struct slice component)
{
    for (size_t i = 0; i < component.len; i++) {
        if (component.ptr[i] == '*' || component.ptr[i] == '?' || component.ptr[i] == '[') {
            return false;
        }
    }
    return true;
}
