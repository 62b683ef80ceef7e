// SPDX-License-Identifier: AGPL-3.0-or-later

package route

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/people/apiuse"
)

type operationKey struct{}

// counted counts the requests of those who are known. It stands behind auth.Require.
func counted(who *people.Service) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			operation, done := new(string), false
			ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			defer func() {
				status := ww.Status()
				if !done { // it panicked, or its answer broke off
					status = http.StatusInternalServerError
				}
				who.Use.Count(apiuse.Request{
					UserID: auth.User(ctx).ID, TokenID: auth.Token(ctx), Operation: *operation,
					Status: status, Bytes: int64(ww.BytesWritten()),
				})
			}()
			next.ServeHTTP(ww, r.WithContext(context.WithValue(ctx, operationKey{}, operation)))
			done = true
		})
	}
}

// Counted counts requests that are served outside of this API as those of an operation.
func Counted(who *people.Service, operation string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return counted(who)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if name, ok := r.Context().Value(operationKey{}).(*string); ok {
				*name = operation
			}
			next.ServeHTTP(w, r)
		}))
	}
}

// named tells counted which operation it is.
func named(ctx huma.Context, next func(huma.Context)) {
	if operation, ok := ctx.Context().Value(operationKey{}).(*string); ok {
		*operation = ctx.Operation().OperationID
	}
	next(ctx)
}
