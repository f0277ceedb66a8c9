/* A walk over the rows of one page. See internal.h. */
#include "panel/store/internal.h"

int page_step(struct page_walk *walk, struct stmt *stmt, struct err *err)
{
    int rc = db_step(stmt, err);
    if (rc <= 0)
        return rc;
    if (walk->page && walk->page->limit && walk->count == walk->page->limit) {
        walk->page->next = walk->last;
        return 0;
    }
    walk->last = db_int(stmt, walk->seq);
    walk->count++;
    return 1;
}
