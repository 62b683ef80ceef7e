// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/adit-go/adit/dicom/web/multipart"
)

// BulkData gets a value that metadata left out (PS3.18 10.4.1.1.5) by the URI that stands in its place, and hands its
// bytes to take. Only the path of the URI counts, from /studies/ on: servers behind proxies name hosts that nobody
// reaches, or that are nobody's to know credentials. A URI that isn't below a study, or has another way of naming its
// value, is refused. The error is nil only if the value came whole.
func (c *Client) BulkData(ctx context.Context, uri string, take func(io.Reader) error) error {
	path, err := bulkPath(uri)
	if err != nil {
		return err
	}
	x, err := c.do(ctx, request{
		doing: "request for bulk data", method: http.MethodGet, prefix: c.cfg.WADO, path: path,
		accept: `multipart/related; type="application/octet-stream"`,
	})
	if err != nil {
		return err
	}
	defer x.close()
	if x.rsp.StatusCode != http.StatusOK {
		return x.failed()
	}
	m := x.mediaType()
	switch {
	case m.Name == "text/html":
		return x.invalid("it is a page instead of a value; check the address of the server")
	case !strings.HasPrefix(m.Name, "multipart/"):
		if err := take(&content{Reader: x.in, x: x, blanks: true}); err != nil {
			return err
		}
		return x.finish()
	}
	g := &retrieving{x: x}
	parts, err := multipart.NewReader(x.in, m.Param("boundary"), multipart.Limits{})
	if err != nil {
		return g.bad(err)
	}
	p, err := parts.Next()
	if err == io.EOF { //nolint:errorlint // only exactly this value says that the message is whole
		return x.invalid("it has no value")
	}
	if err != nil {
		return g.bad(err)
	}
	if err := take(&content{Reader: p, x: x, blanks: true}); err != nil {
		return err
	}
	if _, err = parts.Next(); err == nil {
		return x.invalid("it has several values where one was asked for")
	}
	if err == io.EOF { //nolint:errorlint // as above
		return nil
	}
	return g.bad(err)
}

// bulkPath is the path of a bulk data URI below the root of the service.
func bulkPath(uri string) (string, error) {
	bad := errors.New("a bulk data URI doesn't name a value of a study; it can't be followed")
	u, err := url.Parse(uri)
	if err != nil || u.RawQuery != "" || u.User != nil {
		return "", bad
	}
	escaped := u.EscapedPath()
	i := strings.LastIndex(escaped, "/studies/")
	if i < 0 {
		return "", bad
	}
	path := escaped[i:]
	for part := range strings.SplitSeq(path[1:], "/") {
		if plain, err := url.PathUnescape(part); err != nil || plain == "" || plain == "." || plain == ".." ||
			strings.ContainsAny(plain, "/\\?#") {
			return "", bad
		}
	}
	return path, nil
}
