// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/people"
)

// registrationsRoutes are the routes of this file.
type registrationsRoutes struct{ *API }

const registrationsTag = "Registrations"

// RegistrationID names a registration in a path.
type RegistrationID struct {
	ID int64 `path:"id" minimum:"1" doc:"Number of the request for an account." example:"9"`
}

func (a *registrationsRoutes) register() {
	handleOpen(a.API, operation{
		method: http.MethodPost, path: "/registrations", id: "register",
		summary: "Ask for an account", tag: registrationsTag,
		status: http.StatusAccepted, errors: []int{429},
		description: "Leaves a request for an account, which staff approves or refuses; the answer comes by mail. " +
			"It answers the same whether the username is taken or not.",
		example: `{"username": "researcher", "mail": "researcher@example.org", "message": "For the stroke study"}`,
	}, func(ctx context.Context, in *struct{ Body client.NewRegistration }) (*none, error) {
		return nil, a.people.Registrations.Register(ctx, people.Registration{
			Username: in.Body.Username, Person: people.Person(in.Body.Person), Message: in.Body.Message,
		}, auth.Peer(ctx))
	})
	handle(a.API, operation{
		method: http.MethodGet, path: "/registrations", id: "list-registrations",
		summary: "List requests for an account", tag: registrationsTag, errors: []int{403},
		description: "Shows the people who wait for an account, in the order in which they asked.",
	}, a.listRegistrations)
	handle(a.API, operation{
		method: http.MethodGet, path: "/registrations/{id}", id: "get-registration",
		summary: "Get a request for an account", tag: registrationsTag, errors: []int{403, 404},
		description: "Shows one person who waits for an account, and when they asked.",
	}, func(ctx context.Context, user people.User, in *RegistrationID) (*body[client.Registration], error) {
		r, err := a.people.Registrations.Get(ctx, user, in.ID)
		if err != nil {
			return nil, err
		}
		return &body[client.Registration]{view.Registration(r)}, nil
	})
	handle(a.API, operation{
		method: http.MethodPost, path: "/registrations/{id}:approve", id: "approve-registration",
		tag: registrationsTag, errors: []int{404, 409},
		summary: "Approve a request for an account",
		description: "Makes an account of the request and sends a mail with a link to choose a password. Groups " +
			"can be given right away.",
		example: `{"groups": ["Radiology"]}`,
	}, a.approve)
	handle(a.API, operation{
		method: http.MethodPost, path: "/registrations/{id}:refuse", id: "refuse-registration",
		summary: "Refuse a request for an account",
		tag:     registrationsTag, status: http.StatusNoContent, errors: []int{404},
		description: "Deletes the request and sends a mail to whoever asked, with the reason if one is given.",
		example:     `{"reason": "Please ask through your department."}`,
	}, func(ctx context.Context, user people.User, in *struct {
		RegistrationID
		Body client.Refusal
	},
	) (*none, error) {
		return nil, a.people.Registrations.Refuse(ctx, user, in.ID, in.Body.Reason)
	})
}

func (a *registrationsRoutes) listRegistrations(ctx context.Context, user people.User, in *Paging) (
	*body[client.Page[client.Registration]], error,
) {
	above, err := in.after()
	if err != nil {
		return nil, err
	}
	rows, err := a.people.Registrations.List(ctx, user, above, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(rows, in.Limit, view.Registration, func(r people.Registration) int64 { return r.ID }), nil
}

func (a *registrationsRoutes) approve(ctx context.Context, user people.User, in *struct {
	RegistrationID
	Body client.Approval
},
) (*body[client.User], error) {
	if err := plainTexts("groups", in.Body.Groups); err != nil {
		return nil, err
	}
	out, err := userBody(a.people.Registrations.Approve(ctx, user, in.ID, in.Body.Username, in.Body.Groups))
	if err == nil {
		out.Body.Warning = a.people.Mail().Warning()
	}
	return out, err
}
