#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "rendezvous/tree.h"

void *
tree_find(void *const *root, const void *id, tree_order *order)
{
	void *const *node = tfind(id, root, order);

	return node != NULL ? *node : NULL;
}

void *
tree_get(void **root, const void *id, size_t id_size, size_t size, tree_order *order,
	 bool *added)
{
	void *entry = tree_find(root, id, order);

	*added = false;
	if (entry != NULL)
		return entry;
	entry = calloc(1, size);
	if (entry == NULL)
		return NULL;
	memcpy(entry, id, id_size);
	if (tsearch(entry, root, order) == NULL) {
		free(entry);
		return NULL;
	}
	*added = true;
	return entry;
}

void
tree_drop(void **root, void *entry, tree_order *order)
{
	tdelete(entry, root, order);
	free(entry);
}
