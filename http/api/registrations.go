// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/http/route"
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
	route.HandleOpen(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/registrations", ID: "register",
		Summary: "Ask for an account", Tag: registrationsTag,
		Status: http.StatusAccepted, Errors: []int{429},
		Description: "Leaves a request for an account, which staff approves or refuses; the answer comes by mail. " +
			"It answers the same whether the username is taken or not.",
		Example: `{"username": "researcher", "mail": "researcher@example.org", "message": "For the stroke study"}`,
	}, func(ctx context.Context, in *struct{ Body client.NewRegistration }) (*route.None, error) {
		return nil, a.people.Registrations.Register(ctx, people.Registration{
			Username: in.Body.Username, Person: people.Person(in.Body.Person), Message: in.Body.Message,
		}, auth.Peer(ctx))
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/registrations", ID: "list-registrations",
		Summary: "List requests for an account", Tag: registrationsTag, Errors: []int{403},
		Description: "Shows the people who wait for an account, in the order in which they asked.",
	}, a.listRegistrations)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/registrations/{id}", ID: "get-registration",
		Summary: "Get a request for an account", Tag: registrationsTag, Errors: []int{403, 404},
		Description: "Shows one person who waits for an account, and when they asked.",
	}, func(ctx context.Context, user people.User, in *RegistrationID) (*route.Body[client.Registration], error) {
		r, err := a.people.Registrations.Get(ctx, user, in.ID)
		if err != nil {
			return nil, err
		}
		return route.Answer(view.Registration(r)), nil
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/registrations/{id}:approve", ID: "approve-registration",
		Tag: registrationsTag, Errors: []int{404, 409},
		Summary: "Approve a request for an account",
		Description: "Makes an account of the request and sends a mail with a link to choose a password. Groups " +
			"can be given right away.",
		Example: `{"groups": ["Radiology"]}`,
	}, a.approve)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/registrations/{id}:refuse", ID: "refuse-registration",
		Summary: "Refuse a request for an account",
		Tag:     registrationsTag, Status: http.StatusNoContent, Errors: []int{404},
		Description: "Deletes the request and sends a mail to whoever asked, with the reason if one is given.",
		Example:     `{"reason": "Please ask through your department."}`,
	}, func(ctx context.Context, user people.User, in *struct {
		RegistrationID
		Body client.Refusal
	},
	) (*route.None, error) {
		return nil, a.people.Registrations.Refuse(ctx, user, in.ID, in.Body.Reason)
	})
}

func (a *registrationsRoutes) listRegistrations(ctx context.Context, user people.User, in *route.Paging) (
	*route.Body[client.Page[client.Registration]], error,
) {
	above, err := in.After()
	if err != nil {
		return nil, err
	}
	rows, err := a.people.Registrations.List(ctx, user, above, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return route.PageOf(rows, in.Limit, view.Registration, func(r people.Registration) int64 { return r.ID }), nil
}

func (a *registrationsRoutes) approve(ctx context.Context, user people.User, in *struct {
	RegistrationID
	Body client.Approval
},
) (*route.Body[client.User], error) {
	if err := plainTexts("groups", in.Body.Groups); err != nil {
		return nil, err
	}
	out, err := userBody(a.people.Registrations.Approve(ctx, user, in.ID, in.Body.Username, in.Body.Groups))
	if err == nil {
		out.Body.Warning = a.people.Mail().Warning()
	}
	return out, err
}
