/* The kernel's own files are built with a list of functions that must not be used; whoever embeds
 * the kernel is free of it, and base/base.h finds this file instead. */
#pragma once
