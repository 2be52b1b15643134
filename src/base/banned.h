/* Functions that this tree does not use, made not to compile: each has a safe form in base. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BANNED_(name) banned_function_##name##_see_base_banned_h

#undef strcpy
#define strcpy(a, b) BANNED_(strcpy)
#undef strcat
#define strcat(a, b) BANNED_(strcat)
#undef strncpy
#define strncpy(a, b, n) BANNED_(strncpy)
#undef strncat
#define strncat(a, b, n) BANNED_(strncat)
#undef sprintf
#define sprintf(...) BANNED_(sprintf)
#undef vsprintf
#define vsprintf(...) BANNED_(vsprintf)
#undef strtok
#define strtok(a, b) BANNED_(strtok)
#undef atoi
#define atoi(a) BANNED_(atoi)
#undef atol
#define atol(a) BANNED_(atol)
#undef atof
#define atof(a) BANNED_(atof)
