// SPDX-License-Identifier: AGPL-3.0-or-later

package route

import (
	"strconv"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/page"
)

// Paging is a part of a list that is asked for.
type Paging struct {
	Cursor string `query:"cursor" maxLength:"2000" doc:"The next_cursor of the page before; absent for the first one." example:"WyItaWQiLCI0MiJd"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Most items on this page."`
}

// After reads the cursor: the key of the last item of the page before.
func (p Paging) After() (int64, error) {
	if p.Cursor == "" {
		return 0, nil
	}
	key, err := strconv.ParseInt(p.Cursor, 10, 64)
	if err != nil || key < 1 {
		return 0, page.Unknown()
	}
	return key, nil
}

// Ordered converts what a list in an order gave, like PageOf.
func Ordered[E, C any](
	rows []E, limit int, o page.Order, convert func(E) C, place func(E) (value string, key int64),
) *Body[client.Page[C]] {
	out := PageOf(rows, limit, convert, func(E) int64 { return 0 })
	if out.Body.Truncated {
		out.Body.NextCursor = o.Next(place(rows[limit-1]))
	}
	return out
}

// PageOf converts what a list gave. One item more than the limit was asked for, and tells that there is a next page.
func PageOf[E, C any](rows []E, limit int, convert func(E) C, key func(E) int64) *Body[client.Page[C]] {
	out := client.Page[C]{Items: make([]C, 0, min(len(rows), limit))}
	for i, row := range rows {
		if i == limit {
			out.NextCursor, out.Truncated = strconv.FormatInt(key(rows[i-1]), 10), true
			break
		}
		out.Items = append(out.Items, convert(row))
	}
	return &Body[client.Page[C]]{out}
}
