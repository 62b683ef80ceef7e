// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !linux

// Package local runs a private PostgreSQL inside ADIT's data directory, on Linux only: the kernel binds its life to
// ours.
package local

import (
	"context"
	"errors"
	"log/slog"
)

var errLinux = errors.New("the embedded PostgreSQL needs Linux; name the database with --database-url")

// ErrInUse is returned on Linux only.
var ErrInUse = errors.New("the data directory is in use")

// Server is what Start never returns here.
type Server struct{}

// Start fails.
func Start(context.Context, string, *slog.Logger) (*Server, error) { return nil, errLinux }

// URL fails.
func URL(string) (string, error) { return "", errLinux }

// Reason knows none.
func Reason(error) string { return "" }

// NoRoom reports false.
func NoRoom(error) bool { return false }

// URL returns nothing.
func (*Server) URL() string { return "" }

// Done never ends.
func (*Server) Done() <-chan struct{} { return nil }

// Err returns nil.
func (*Server) Err() error { return nil }

// Stop does nothing.
func (*Server) Stop(context.Context) error { return nil }
