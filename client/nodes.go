// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Get returns who is calling.
func (c Account) Get(ctx context.Context) (Me, error) {
	var me Me
	return me, c.do(ctx, get("/api/v1/me", nil), &me)
}

// NodeFilter chooses DICOM nodes. Empty fields match everything.
type NodeFilter struct {
	Kind                string // KindServer, KindFolder
	Source, Destination *bool  // whether one may use them so
	Sort                string // id, name; with - downwards; empty: id
}

// List returns servers and folders.
func (c Nodes) List(ctx context.Context) iter.Seq2[Node, error] { return c.Find(ctx, NodeFilter{}) }

// Find returns those servers and folders that a filter chooses.
func (c Nodes) Find(ctx context.Context, f NodeFilter) iter.Seq2[Node, error] {
	return list[Node](ctx, c.caller, "/api/v1/nodes", query(map[string]any{
		"kind": f.Kind, "source": f.Source, "destination": f.Destination, "sort": f.Sort,
	}))
}

// query puts together what is given.
func query(values map[string]any) url.Values {
	q := url.Values{}
	for name, value := range values {
		switch v := value.(type) {
		case string:
			if v != "" {
				q.Set(name, v)
			}
		case bool:
			if v {
				q.Set(name, "true")
			}
		case *bool:
			if v != nil {
				q.Set(name, strconv.FormatBool(*v))
			}
		case time.Time:
			if !v.IsZero() {
				q.Set(name, v.UTC().Format(time.RFC3339Nano))
			}
		case int:
			if v > 0 {
				q.Set(name, strconv.Itoa(v))
			}
		case int64:
			if v > 0 {
				q.Set(name, strconv.FormatInt(v, 10))
			}
		}
	}
	return q
}

// Add adds a server.
func (c Servers) Add(ctx context.Context, s ServerSettings) (Server, error) {
	var added Server
	return added, c.do(ctx, request{method: http.MethodPost, path: "/api/v1/servers", body: s}, &added)
}

// Add adds a folder.
func (c Folders) Add(ctx context.Context, f FolderSettings) (Folder, error) {
	var added Folder
	return added, c.do(ctx, request{method: http.MethodPost, path: "/api/v1/folders", body: f}, &added)
}

// Change changes the limits of a folder. It is for staff.
func (c Folders) Change(
	ctx context.Context, name string, change FolderChange, only ...Condition,
) (Folder, error) {
	var changed Folder
	return changed, c.do(
		ctx, patch("/api/v1/folders/"+escape(name), change).only(only), &changed,
	)
}

// Get returns a server or folder by its name.
func (c Nodes) Get(ctx context.Context, name string) (Node, error) {
	var n Node
	return n, c.do(ctx, get("/api/v1/nodes/"+escape(name), nil), &n)
}

// Delete removes a server or folder that no job names.
func (c Nodes) Delete(ctx context.Context, name string) error {
	return c.do(ctx, remove("/api/v1/nodes/"+escape(name)), nil)
}

// Change changes settings of a server.
func (c Servers) Change(
	ctx context.Context, name string, change ServerChange, only ...Condition,
) (Server, error) {
	var changed Server
	return changed, c.do(ctx, patch("/api/v1/servers/"+escape(name), change).only(only), &changed)
}

// Apply changes a server's settings as the check of it suggests.
func (c Servers) Apply(ctx context.Context, name string, list []Suggestion) (Server, error) {
	change := map[string]any{}
	for _, s := range list {
		at := change
		path := strings.Split(s.Setting, ".")
		for _, part := range path[:len(path)-1] {
			inner, ok := at[part].(map[string]any)
			if !ok {
				inner = map[string]any{}
				at[part] = inner
			}
			at = inner
		}
		at[path[len(path)-1]] = s.Suggested
	}
	var changed Server
	return changed,
		c.do(ctx, patch("/api/v1/servers/"+escape(name), change), &changed)
}

// Get returns a server with its settings. It is for staff.
func (c Servers) Get(ctx context.Context, name string) (Server, error) {
	var s Server
	return s, c.do(ctx, get("/api/v1/servers/"+escape(name), nil), &s)
}

// Get returns a folder with its limits. It is for staff.
func (c Folders) Get(ctx context.Context, name string) (Folder, error) {
	var f Folder
	return f, c.do(ctx, get("/api/v1/folders/"+escape(name), nil), &f)
}

// Delete removes a server that no job names. It is for staff.
func (c Servers) Delete(ctx context.Context, name string, only ...Condition) error {
	return c.do(ctx, remove("/api/v1/servers/"+escape(name)).only(only), nil)
}

// Delete removes a folder that no job names. It is for staff.
func (c Folders) Delete(ctx context.Context, name string, only ...Condition) error {
	return c.do(ctx, remove("/api/v1/folders/"+escape(name)).only(only), nil)
}

// escape makes a name one segment of a path. The colon ends a name where an action follows.
func escape(name string) string {
	escaped := url.PathEscape(name)
	out := make([]byte, 0, len(escaped))
	for i := range len(escaped) {
		if escaped[i] == ':' {
			out = append(out, "%3A"...)
			continue
		}
		out = append(out, escaped[i])
	}
	return string(out)
}

// list yields all items of a list that comes in pages.
func list[T any](ctx context.Context, c *caller, path string, query url.Values) iter.Seq2[T, error] {
	return pages[T](ctx, c, func(cursor string) request {
		q := url.Values{}
		maps.Copy(q, query)
		if cursor != "" {
			q.Set("cursor", cursor)
			q.Del("skip") // the cursor says where the page begins
		}
		return get(path, q)
	})
}

// Part is which part of a list a search gives.
type Part struct {
	Cursor string `json:"cursor,omitempty" maxLength:"2000" doc:"The next_cursor of the page before; absent for the first one." example:"WyItaWQiLCI0MiJd"`
	Limit  int    `json:"limit,omitempty" minimum:"1" maximum:"500" default:"50" doc:"Most items on this page; 50 by default." example:"100"`
}

// search is list for criteria that belong into a body, such as those about a patient; body gives it for a cursor.
func search[T any](ctx context.Context, c *caller, path string, body func(cursor string) any) iter.Seq2[T, error] {
	return pages[T](ctx, c, func(cursor string) request {
		return request{method: http.MethodPost, path: path, body: body(cursor), repeatable: true, reads: true}
	})
}

// pages asks for one page after the other; of gives the request for a cursor, which is empty for the first one.
func pages[T any](ctx context.Context, c *caller, of func(cursor string) request) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for cursor := ""; ; {
			var page Page[T]
			if err := c.do(ctx, of(cursor), &page); err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.NextCursor == "" || page.NextCursor == cursor {
				return
			}
			cursor = page.NextCursor
		}
	}
}
