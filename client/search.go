// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"errors"
	"iter"
)

// ErrTruncated ends a search that found more than the limit of the server lets through.
var ErrTruncated = errors.New("there are more studies than the limit of the server lets through; narrow the search")

// Studies is Search as an iterator. Its last error is ErrTruncated if there are more studies than those: nobody may
// take a part of them for all.
func (c Servers) Studies(ctx context.Context, server string, q StudyQuery) iter.Seq2[Study, error] {
	return func(yield func(Study, error) bool) {
		page, err := c.Search(ctx, server, q)
		if err != nil {
			yield(Study{}, err)
			return
		}
		for _, study := range page.Items {
			if !yield(study, nil) {
				return
			}
		}
		if page.Truncated {
			yield(Study{}, ErrTruncated)
		}
	}
}
