// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/people"
)

const registrationsTag = "Registrations"

// RegistrationID names a registration in a path.
type RegistrationID struct {
	ID int64 `path:"id" minimum:"1"`
}

func (a *API) registerRegistrations() {
	handleOpen(a, operation{
		method: http.MethodPost, path: "/registrations", id: "register", summary: "Ask for an account; staff decides, and the answer comes by mail", tag: registrationsTag,
		status: http.StatusAccepted, errors: []int{400, 413, 429},
	}, func(ctx context.Context, in *struct{ Body client.NewRegistration }) (*none, error) {
		return nil, a.people.Register(ctx, people.Registration{
			Username: in.Body.Username, Person: people.Person(in.Body.Person), Message: in.Body.Message,
		}, auth.Peer(ctx))
	})
	handle(a, operation{
		method: http.MethodGet, path: "/registrations", id: "list-registrations", summary: "List those who wait for an account (staff)", tag: registrationsTag, errors: []int{403},
	}, a.listRegistrations)
	handle(a, operation{
		method: http.MethodPost, path: "/registrations/{id}:approve", id: "approve-registration", tag: registrationsTag, errors: []int{400, 403, 404, 409, 413},
		summary: "Make a user of a registration, who gets a mail to choose a password (staff). Takes the password (password_needed)",
	}, a.approve)
	handle(a, operation{
		method: http.MethodPost, path: "/registrations/{id}:refuse", id: "refuse-registration", summary: "Refuse a registration, with a mail to who asked (staff)",
		tag: registrationsTag, status: http.StatusNoContent, errors: []int{400, 403, 404, 413},
	}, func(ctx context.Context, user people.User, in *struct {
		RegistrationID
		Body client.Refusal
	},
	) (*none, error) {
		return nil, a.people.Refuse(ctx, user, in.ID, in.Body.Reason)
	})
}

func (a *API) listRegistrations(ctx context.Context, user people.User, in *Paging) (*body[client.Page[client.Registration]], error) {
	above, err := in.after()
	if err != nil {
		return nil, err
	}
	rows, err := a.people.Registrations(ctx, user, above, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(rows, in.Limit, clientRegistration, func(r people.Registration) int64 { return r.ID }), nil
}

func (a *API) approve(ctx context.Context, user people.User, in *struct {
	RegistrationID
	Body client.Approval
},
) (*body[client.User], error) {
	if err := plainTexts("groups", in.Body.Groups); err != nil {
		return nil, err
	}
	out, err := userBody(a.people.Approve(ctx, user, in.ID, in.Body.Username, in.Body.Groups))
	if err == nil {
		out.Body.Warning = a.people.MailWarning()
	}
	return out, err
}

func clientRegistration(r people.Registration) client.Registration {
	return client.Registration{ID: r.ID, Username: r.Username, Person: client.Person(r.Person), Message: r.Message, CreatedAt: r.CreatedAt}
}
