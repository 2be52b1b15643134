/* The console's files as the program carries them: made by cmake/Embed.cmake. Internal. */
#pragma once

#include <stddef.h>

extern const unsigned char console_page[], console_style[], console_script[];
extern const size_t console_page_len, console_style_len, console_script_len;
