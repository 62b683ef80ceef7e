// SPDX-License-Identifier: AGPL-3.0-or-later

package db

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/internal/text"
)

// storable is the gate for what goes to the database: pgx shows each statement's arguments to its tracer before it
// sends them. A text that PostgreSQL would refuse (no UTF-8, NUL) becomes one that it keeps, so that no value from
// outside makes a statement fail for good.
type storable struct{}

// TraceQueryStart implements pgx.QueryTracer.
func (storable) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	for i, arg := range data.Args {
		switch v := arg.(type) {
		case string:
			if s := text.Storable(v); s != v {
				data.Args[i] = s
			}
		case *string:
			if v != nil {
				if s := text.Storable(*v); s != *v {
					data.Args[i] = &s
				}
			}
		case []string:
			data.Args[i] = storableTexts(v)
		case []byte:
			data.Args[i] = storableJSON(v)
		}
	}
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (storable) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func storableTexts(list []string) []string {
	for i, v := range list {
		if s := text.Storable(v); s != v {
			list = slices.Clone(list)
			for j := i; j < len(list); j++ {
				list[j] = text.Storable(list[j])
			}
			return list
		}
	}
	return list
}

// nul is how JSON writes the one character that jsonb doesn't keep.
var nul = []byte(`\u0000`)

func storableJSON(value []byte) []byte {
	if !bytes.Contains(value, nul) || !json.Valid(value) {
		return value // as are bytes that are no JSON
	}
	out := make([]byte, 0, len(value))
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] != '\\':
			out = append(out, value[i])
		case bytes.HasPrefix(value[i:], nul):
			out, i = append(out, `\ufffd`...), i+len(nul)-1
		default: // what is escaped is no backslash that escapes
			out, i = append(out, value[i], value[i+1]), i+1
		}
	}
	return out
}
