// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
)

func (a *API) registerServers() {
	handle(a, operation{method: http.MethodGet, path: "/servers", id: "list-servers", summary: "List servers", tag: nodesTag}, a.listServers)
	handle(a, operation{
		method: http.MethodPost, path: "/servers", id: "add-server", summary: "Add a server", tag: nodesTag,
		status: http.StatusCreated, errors: []int{400, 403, 409, 413},
	}, a.addServer)
}

func (a *API) listServers(ctx context.Context, _ people.User, in *Paging) (*body[client.Page[client.Server]], error) {
	nodes, err := a.nodesWhere(ctx, in, func(n engine.DICOMNode) bool { return n.Server != nil })
	if err != nil {
		return nil, err
	}
	return pageOf(nodes, in.Limit, clientServer, nodeKey), nil
}

// nodesWhere gives one node more than a page holds, of those that are wanted.
func (a *API) nodesWhere(ctx context.Context, in *Paging, wanted func(engine.DICOMNode) bool) ([]engine.DICOMNode, error) {
	above, err := in.after()
	if err != nil {
		return nil, err
	}
	var nodes []engine.DICOMNode
	for {
		rows, err := a.engine.ListDICOMNodes(ctx, above, in.Limit+1)
		if err != nil {
			return nil, err
		}
		for _, n := range rows {
			above = n.ID
			if wanted(n) {
				nodes = append(nodes, n)
			}
		}
		if len(nodes) > in.Limit || len(rows) <= in.Limit {
			return nodes, nil
		}
	}
}

func (a *API) addServer(ctx context.Context, user people.User, in *struct{ Body client.ServerSettings }) (*body[client.Server], error) {
	s := in.Body
	if err := plainText(map[string]string{"host": s.Host, "calling_ae_title": s.CallingAETitle}); err != nil {
		return nil, err
	}
	n, err := a.engine.AddServer(ctx, user, engine.NewServer{
		Name: s.Name, AETitle: s.AETitle, Host: s.Host, Port: s.Port, CallingAETitle: s.CallingAETitle,
		Supports: engine.Supports(s.Supports), ResultLimit: s.ResultLimit, IdleTimeout: time.Duration(s.IdleTimeout) * time.Second,
		BatchCap: s.BatchCap, InteractiveCap: s.InteractiveCap, AssociationsPerTask: s.AssociationsPerTask,
	})
	if err != nil {
		return nil, err
	}
	return &body[client.Server]{clientServer(n)}, nil
}

func clientServer(n engine.DICOMNode) client.Server {
	s := n.Server
	batch, interactive := int(s.BatchCap), int(s.InteractiveCap)
	return client.Server{
		ID: n.ID, Paused: n.Paused, CreatedAt: n.CreatedAt,
		ServerSettings: client.ServerSettings{
			Name: n.Name, AETitle: s.AeTitle, Host: s.Host, Port: int(s.Port), CallingAETitle: s.CallingAeTitle,
			Supports: client.Supports{
				PatientRootFind: s.PatientRootFind, PatientRootGet: s.PatientRootGet, PatientRootMove: s.PatientRootMove,
				StudyRootFind: s.StudyRootFind, StudyRootGet: s.StudyRootGet, StudyRootMove: s.StudyRootMove, Store: s.StoreScp,
			},
			ResultLimit: int(s.ResultLimit), IdleTimeout: int(s.IdleTimeoutS), BatchCap: &batch, InteractiveCap: &interactive,
			AssociationsPerTask: int(s.AssociationsPerTask),
		},
	}
}
