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
)

// Me tells who is calling.
func (c *Client) Me(ctx context.Context) (Me, error) {
	var me Me
	return me, c.do(ctx, get("/api/v1/me", nil), &me)
}

// Nodes lists servers and folders.
func (c *Client) Nodes(ctx context.Context) iter.Seq2[Node, error] {
	return list[Node](ctx, c, "/api/v1/nodes", nil)
}

// AddServer adds a server.
func (c *Client) AddServer(ctx context.Context, s ServerSettings) (Server, error) {
	var added Server
	return added, c.do(ctx, request{method: http.MethodPost, path: "/api/v1/servers", body: s}, &added)
}

// AddFolder adds a folder.
func (c *Client) AddFolder(ctx context.Context, f FolderSettings) (Folder, error) {
	var added Folder
	return added, c.do(ctx, request{method: http.MethodPost, path: "/api/v1/folders", body: f}, &added)
}

// ChangeFolder changes the limits of a folder. It is for staff.
func (c *Client) ChangeFolder(ctx context.Context, name string, change FolderChange) (Folder, error) {
	var changed Folder
	return changed, c.do(ctx, request{method: http.MethodPatch, path: "/api/v1/folders/" + escape(name), body: change, repeatable: true}, &changed)
}

// Node finds a server or folder by its name.
func (c *Client) Node(ctx context.Context, name string) (Node, error) {
	var n Node
	return n, c.do(ctx, get("/api/v1/nodes/"+escape(name), nil), &n)
}

// DeleteNode removes a server or folder that no job names.
func (c *Client) DeleteNode(ctx context.Context, name string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: "/api/v1/nodes/" + escape(name)}, nil)
}

// ChangeServer changes settings of a server.
func (c *Client) ChangeServer(ctx context.Context, name string, change ServerChange) (Server, error) {
	var changed Server
	return changed, c.do(ctx, request{method: http.MethodPatch, path: "/api/v1/servers/" + escape(name), body: change}, &changed)
}

// ApplySuggestions changes a server's settings as the check of it suggests.
func (c *Client) ApplySuggestions(ctx context.Context, name string, list []Suggestion) (Server, error) {
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
	return changed, c.do(ctx, request{method: http.MethodPatch, path: "/api/v1/servers/" + escape(name), body: change}, &changed)
}

// CheckNode tries whether a server answers and offers what it is configured with, or whether a folder is writable. What
// was found is the result; a check that failed is not an error of the call.
func (c *Client) CheckNode(ctx context.Context, name string) (CheckReport, error) {
	var report CheckReport
	rq := request{method: http.MethodPost, path: "/api/v1/nodes/" + escape(name) + ":check", repeatable: true}
	return report, c.do(ctx, rq, &report)
}

// SearchStudies asks a server for studies. Truncated tells that there are more than the limit let through; there is no next page.
func (c *Client) SearchStudies(ctx context.Context, server string, q StudyQuery) (Page[Study], error) {
	query := url.Values{}
	for name, value := range map[string]string{
		"patient_id": q.PatientID, "patient_name": q.PatientName, "study_date_from": q.StudyDateFrom, "study_date_to": q.StudyDateTo,
		"modality": q.Modality, "accession_number": q.AccessionNumber,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if q.Limit > 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	var page Page[Study]
	return page, c.do(ctx, get("/api/v1/servers/"+escape(server)+"/studies", query), &page)
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
func list[T any](ctx context.Context, c *Client, path string, query url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		q := url.Values{}
		maps.Copy(q, query)
		for {
			var page Page[T]
			if err := c.do(ctx, get(path, q), &page); err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.NextCursor == "" || page.NextCursor == q.Get("cursor") {
				return
			}
			q.Set("cursor", page.NextCursor)
		}
	}
}
