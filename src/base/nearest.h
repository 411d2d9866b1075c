#ifndef MPCPROXY_BASE_NEAREST_H
#define MPCPROXY_BASE_NEAREST_H

#include <stddef.h>

/* The one of ${words} that somebody who typed ${word} most likely meant: within two
 * edits (insert, leave out, replace), or one that begins with it. NULL when none is
 * near. */
const char *nearest(const char *word, const char *const *words, size_t n);

#endif
