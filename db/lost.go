// SPDX-License-Identifier: AGPL-3.0-or-later

package db

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// LostError is an error that came out of a connection to the database: it was cut, reset, or closed by a server that died. The
// connections of Open and Connect mark their errors so. A plain error of the io package, of a socket or of the system says nothing about
// the database: files, peers and parsers return the same ones.
type LostError struct{ Err error }

func (e *LostError) Error() string {
	return "the connection to the database was lost: " + e.Err.Error()
}

// Unwrap returns what the connection returned.
func (e *LostError) Unwrap() error { return e.Err }

// Lost reports whether an error says that the database does not answer, or is going down. It judges by where the error comes from.
func Lost(err error) bool {
	if _, ok := errors.AsType[*LostError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok { // wraps what the server said, if it did
		return true
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "57P")
	}
	// One that is safe to retry was not sent: the time was over before the database was asked.
	return pgconn.Timeout(err) && !pgconn.SafeToRetry(err)
}

// markErrors makes the connections of a configuration mark their errors, above TLS.
func markErrors(cfg *pgconn.Config) {
	build := cfg.BuildFrontend
	cfg.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend { return build(markedReader{r}, markedWriter{w}) }
}

type markedReader struct{ r io.Reader }

func (m markedReader) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	return n, marked(err)
}

type markedWriter struct{ w io.Writer }

func (m markedWriter) Write(b []byte) (int, error) {
	n, err := m.w.Write(b)
	return n, marked(err)
}

// marked leaves deadlines alone: pgx sets them itself. It gives no io.EOF away, which a reader would take for the end of what it reads.
func marked(err error) error {
	switch {
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return &LostError{err}
}
