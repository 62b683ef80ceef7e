// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
)

const nodesTag = "DICOM nodes"

// NodeName names a DICOM node in a path.
type NodeName struct {
	Name string `path:"name" doc:"Name of the DICOM node, in any case of letters." maxLength:"255"`
}

func (a *API) registerNodes() {
	handle(a, operation{method: http.MethodGet, path: "/nodes", id: "list-nodes", summary: "List servers and folders", tag: nodesTag}, a.listNodes)
	handle(a, operation{
		method: http.MethodGet, path: "/nodes/{name}", id: "get-node", summary: "Get a server or folder", tag: nodesTag, errors: []int{404},
	}, a.getNode)
	handle(a, operation{
		method: http.MethodDelete, path: "/nodes/{name}", id: "delete-node", summary: "Remove a server or folder that no job names", tag: nodesTag,
		status: http.StatusNoContent, errors: []int{403, 404, 409},
	}, a.deleteNode(""))
	handle(a, operation{
		method: http.MethodPost, path: "/nodes/{name}:check", id: "check-node", tag: nodesTag, timeout: patient, errors: []int{403, 404, 429},
		summary: "Try whether a server answers and offers its services, or a folder is writable",
	}, a.checkNode)
}

func (a *API) listNodes(ctx context.Context, user people.User, in *Paging) (*body[client.Page[client.Node]], error) {
	above, err := in.after()
	if err != nil {
		return nil, err
	}
	nodes, err := a.engine.ListDICOMNodes(ctx, above, in.Limit+1)
	if err != nil {
		return nil, err
	}
	view, err := a.nodeView(ctx, user)
	if err != nil {
		return nil, err
	}
	return pageOf(nodes, in.Limit, view, nodeKey), nil
}

func nodeKey(n engine.DICOMNode) int64 { return n.ID }

func (a *API) getNode(ctx context.Context, user people.User, in *NodeName) (*body[client.Node], error) {
	n, err := a.engine.DICOMNodeByName(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	view, err := a.nodeView(ctx, user)
	if err != nil {
		return nil, err
	}
	return &body[client.Node]{view(n)}, nil
}

// nodeOfKind returns a server, a folder, or either if no kind is named, by its name.
func (a *API) nodeOfKind(ctx context.Context, name, kind string) (engine.DICOMNode, error) {
	n, err := a.engine.DICOMNodeByName(ctx, name)
	if err == nil && kind != "" && (n.Server == nil) != (kind == client.KindFolder) {
		err = fmt.Errorf("DICOM %s %q: %w", kind, name, engine.ErrNotFound)
	}
	return n, err
}

func (a *API) deleteNode(kind string) func(context.Context, people.User, *NodeName) (*none, error) {
	return func(ctx context.Context, user people.User, in *NodeName) (*none, error) {
		n, err := a.nodeOfKind(ctx, in.Name, kind)
		if err != nil {
			return nil, err
		}
		return nil, a.engine.DeleteDICOMNode(ctx, user, n.ID)
	}
}

func (a *API) checkNode(ctx context.Context, user people.User, in *NodeName) (*body[client.CheckReport], error) {
	report, err := a.engine.CheckNode(ctx, user, in.Name)
	if err != nil {
		return nil, err
	}
	out := client.CheckReport{Checks: make([]client.Check, 0, len(report.Checks)), Suggestions: make([]client.Suggestion, 0, len(report.Suggestions))}
	for _, c := range report.Checks {
		out.Checks = append(out.Checks, client.Check(c))
	}
	for _, s := range report.Suggestions {
		out.Suggestions = append(out.Suggestions, client.Suggestion(s))
	}
	return &body[client.CheckReport]{out}, nil
}

// nodeView returns how a user sees DICOM nodes: what they are called, what the user may do there, and whether they are paused. Where they are
// and how they are set is for staff.
func (a *API) nodeView(ctx context.Context, user people.User) (func(engine.DICOMNode) client.Node, error) {
	uses, err := a.people.NodeUses(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	return func(n engine.DICOMNode) client.Node {
		out := client.Node{
			ID: n.ID, Kind: client.KindServer, Name: n.Name, Source: uses[n.ID].Source, Destination: uses[n.ID].Destination, Paused: n.Paused,
			Takes: n.Takes, NextProbe: instant(n.NextProbe),
		}
		if n.Folder != nil {
			out.Kind = client.KindFolder
		}
		if !user.IsStaff && !user.IsSuperuser {
			return out
		}
		if n.Folder != nil {
			f := clientFolder(n)
			out.Folder = &f
		} else {
			s := clientServer(n)
			out.Server = &s
		}
		return out
	}, nil
}
