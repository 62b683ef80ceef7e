// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/people"
)

// serversRoutes are the routes of this file.
type serversRoutes struct{ *API }

func (a *serversRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/servers", ID: "list-servers",
		Summary: "List servers with their settings", Tag: nodesTag,
		Description: "Shows the DICOM servers with all their settings, except secrets. For names alone, or as a " +
			"user without staff rights, use `GET /nodes`.",
	}, a.listServers)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/servers", ID: "add-server", Summary: "Add a server", Tag: nodesTag,
		Status: http.StatusCreated, Errors: []int{409}, Body: settingsBody,
		Description: "Makes a PACS, an archive or a workstation known to ADIT. ADIT does not call it yet: try it " +
			"with `POST /nodes/{name}:check`, then give groups access with `PUT /access`.",
		Example: `{"name": "PACS", "ae_title": "PACS", "host": "pacs.example.org", "port": 104, "supports": {"study_root_find": true, "study_root_move": true, "store": true}}`,
	}, a.addServer)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/servers/{name}", ID: "get-server", Editable: true,
		Summary:     "Get a server with its settings",
		Description: "Shows how a server is reached and how it may be used. What is secret is never shown.",
		Tag:         nodesTag, Errors: []int{404},
	}, func(ctx context.Context, _ people.User, in *getNode) (*route.Current[client.Server], error) {
		n, err := a.nodeOfKind(ctx, in.Name, client.KindServer)
		if err != nil {
			return nil, err
		}
		return route.UnlessKnown(in.IfNoneMatch, n.Version(), clientServer(n)), nil
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodDelete, Path: "/servers/{name}", ID: "delete-server", Editable: true,
		Summary: "Remove a server", Tag: nodesTag,
		Status: http.StatusNoContent, Errors: []int{404, 409},
		Description: "Takes a DICOM server out of ADIT's list. One that a job names can't be removed (409); pause " +
			"it instead.",
	}, a.deleteNode(client.KindServer))
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPatch, Path: "/servers/{name}", ID: "change-server", Editable: true,
		Summary: "Change settings of a server", Tag: nodesTag,
		Errors: []int{404, 409}, Body: settingsBody,
		Description: "Changes the settings that are given and leaves the others. Associations that are open finish " +
			"with the old settings. The secret of DICOMweb has to be given again if its URL, or that of the tokens, " +
			"gets another scheme, host or port.",
		Example: `{"batch_cap": 2, "retrieve": {"methods": ["C-MOVE"]}}`,
	}, a.changeServer)
}

func (a *serversRoutes) listServers(ctx context.Context, user people.User, in *NamedList) (
	*route.Body[client.Page[client.Server]], error,
) {
	return listNodesOf(ctx, a.API, user, *in, nodes.Filter{Kind: client.KindServer}, clientServer)
}

// settingsBody has room for certificates.
const settingsBody = 256 << 10

func (a *serversRoutes) addServer(
	ctx context.Context, user people.User, in *struct{ Body client.ServerSettings },
) (*route.Created[client.Server], error) {
	s, err := engineSettings(in.Body)
	if err != nil {
		return nil, err
	}
	n, err := a.engine.Nodes.AddServer(ctx, user, s)
	if err != nil {
		return nil, err
	}
	return route.MadeAt("/servers", n.Name, clientServer(n)), nil
}

func (a *serversRoutes) changeServer(ctx context.Context, user people.User, in *struct {
	NodeName
	route.IfMatch
	Body client.ServerChange
},
) (*route.Changed[client.Server], error) {
	change, err := json.Marshal(in.Body)
	if err != nil {
		return nil, err
	}
	n, err := a.engine.Nodes.UpdateServer(ctx, user, in.Name, func(s *nodes.NewServer) error {
		settings := clientSettings(*s)
		if err := json.Unmarshal(change, &settings); err != nil { // what is not in the change stays as it is
			return err
		}
		*s, err = engineSettings(settings)
		addActs(s, in.Body)
		return err
	})
	if err != nil {
		return nil, err
	}
	return route.ChangedTo(n.Version(), clientServer(n)), nil
}

// What follows is what zz_settings.go converts values by.

// unless returns a value, or nothing if it is the default.
func unless[T comparable](value, def T) T {
	if value == def {
		var nothing T
		return nothing
	}
	return value
}

// otherThan is the same of a value whose zero is one of its own.
func otherThan[T comparable](value, def *T) *T {
	if value != nil && *value == *def {
		return nil
	}
	return value
}

// entries returns a list, nil if there is nothing in it.
func entries(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

func durationOf(seconds *int) *time.Duration {
	if seconds == nil {
		return nil
	}
	return new(time.Duration(*seconds) * time.Second)
}

func secondsOf(d *time.Duration) *int {
	if d == nil {
		return nil
	}
	return new(int(*d / time.Second))
}

func clientServer(n nodes.DICOMNode) client.Server {
	return client.Server{
		ID: n.ID, Paused: n.Paused, CreatedAt: n.CreatedAt, Warnings: n.Warnings(),
		ServerSettings: clientSettings(n.Settings()),
	}
}
