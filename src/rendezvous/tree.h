#ifndef MPCPROXY_RENDEZVOUS_TREE_H
#define MPCPROXY_RENDEZVOUS_TREE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Structures found by their id, which is their first bytes: tsearch(3) with the
 * allocation around it. The ids are chosen by strangers, and a balanced tree has no bad
 * case that they could aim at. A root begins as NULL.
 */
typedef int tree_order(const void *a, const void *b); /* of two ids, as memcmp() */

void *tree_find(void *const *root, const void *id, tree_order *order);

/* The entry with ${id}; when there is none, ${added} tells and it is made: ${size} bytes,
 * the first ${id_size} are the id, the others zero. NULL when memory is short. */
void *tree_get(void **root, const void *id, size_t id_size, size_t size,
	       tree_order *order, bool *added);

/* Take ${entry} out and free it. */
void tree_drop(void **root, void *entry, tree_order *order);

#endif
