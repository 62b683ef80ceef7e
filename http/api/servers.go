// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
)

func (a *API) registerServers() {
	handle(a, operation{method: http.MethodGet, path: "/servers", id: "list-servers", summary: "List servers (staff)", tag: nodesTag}, a.listServers)
	handle(a, operation{
		method: http.MethodPost, path: "/servers", id: "add-server", summary: "Add a server", tag: nodesTag,
		status: http.StatusCreated, errors: []int{400, 403, 409, 413}, body: settingsBody,
	}, a.addServer)
	handle(a, operation{
		method: http.MethodGet, path: "/servers/{name}", id: "get-server", summary: "Get a server with its settings (staff)", tag: nodesTag, errors: []int{404},
	}, func(ctx context.Context, _ people.User, in *NodeName) (*body[client.Server], error) {
		n, err := a.nodeOfKind(ctx, in.Name, client.KindServer)
		if err != nil {
			return nil, err
		}
		return &body[client.Server]{clientServer(n)}, nil
	})
	handle(a, operation{
		method: http.MethodDelete, path: "/servers/{name}", id: "delete-server", summary: "Remove a server that no job names (staff)", tag: nodesTag,
		status: http.StatusNoContent, errors: []int{404, 409},
	}, a.deleteNode(client.KindServer))
	handle(a, operation{
		method: http.MethodPatch, path: "/servers/{name}", id: "change-server", summary: "Change settings of a server", tag: nodesTag,
		errors: []int{400, 403, 404, 409, 413}, body: settingsBody,
	}, a.changeServer)
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

// settingsBody has room for certificates.
const settingsBody = 256 << 10

func (a *API) addServer(ctx context.Context, user people.User, in *struct{ Body client.ServerSettings }) (*created[client.Server], error) {
	s, err := engineSettings(in.Body)
	if err != nil {
		return nil, err
	}
	n, err := a.engine.AddServer(ctx, user, s)
	if err != nil {
		return nil, err
	}
	return madeAt("/servers", n.Name, clientServer(n)), nil
}

func (a *API) changeServer(ctx context.Context, user people.User, in *struct {
	NodeName
	Body client.ServerChange
},
) (*body[client.Server], error) {
	change, err := json.Marshal(in.Body)
	if err != nil {
		return nil, err
	}
	n, err := a.engine.UpdateServer(ctx, user, in.Name, func(s *engine.NewServer) error {
		settings := clientSettings(*s)
		if err := json.Unmarshal(change, &settings); err != nil { // what is not in the change stays as it is
			return err
		}
		*s, err = engineSettings(settings)
		s.PatientsAnew = in.Body.PatientsAnew
		if in.Body.Retrieve != nil {
			s.Retrieve.AddAddresses(in.Body.Retrieve.AddAddressRanges...)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &body[client.Server]{clientServer(n)}, nil
}

func engineSettings(s client.ServerSettings) (engine.NewServer, error) {
	if err := plainName(map[string]string{"host": s.Host, "calling_ae_title": s.CallingAETitle, "tls.server_name": s.TLS.ServerName}); err != nil {
		return engine.NewServer{}, err
	}
	return engine.NewServer{
		Name: s.Name, AETitle: s.AETitle, Host: s.Host, Port: s.Port, CallingAETitle: s.CallingAETitle,
		Supports: engine.Supports(s.Supports), ResultLimit: s.ResultLimit, IdleTimeout: time.Duration(s.IdleTimeout) * time.Second,
		BatchCap: s.BatchCap, InteractiveCap: s.InteractiveCap, AssociationsPerTask: s.AssociationsPerTask, FindImages: s.FindImages,
		IssuerOfPatientID: s.IssuerOfPatientID, TLS: engine.TLS(s.TLS),
		Retrieve: engine.Retrieve{
			Methods: s.Retrieve.Methods, MoveDestination: s.Retrieve.MoveDestination, MoveDestinationPlain: s.Retrieve.MoveDestinationPlain,
			MoveOriginator: s.Retrieve.MoveOriginator, MovePatience: time.Duration(s.Retrieve.MovePatience) * time.Second,
			OtherAETitles: s.Retrieve.OtherAETitles, AddressRanges: s.Retrieve.AddressRanges, Direct: s.Retrieve.Direct,
		},
		Rules:  engineRules(s.Rules),
		Verify: engine.Verify{Method: s.Verify.Method, Patience: time.Duration(s.Verify.Patience) * time.Second},
	}, nil
}

func clientSettings(s engine.NewServer) client.ServerSettings {
	out := client.ServerSettings{
		Name: s.Name, AETitle: s.AETitle, Host: s.Host, Port: s.Port, CallingAETitle: s.CallingAETitle,
		Supports: client.Supports(s.Supports), ResultLimit: s.ResultLimit, IdleTimeout: int(s.IdleTimeout / time.Second),
		BatchCap: s.BatchCap, InteractiveCap: s.InteractiveCap, AssociationsPerTask: s.AssociationsPerTask, FindImages: s.FindImages,
		IssuerOfPatientID: s.IssuerOfPatientID,
		TLS:               client.TLS(s.TLS),
		Retrieve:          clientRetrieve(s.Retrieve),
	}
	out.Rules = clientRules(s.Rules)
	if s.Verify.Method != engine.VerifyNone {
		out.Verify = client.Verify{Method: s.Verify.Method, Patience: int(s.Verify.Patience / time.Second)}
	}
	if out.TLS.Key = ""; out.TLS == (client.TLS{Profile: engine.ProfileBCP195RFC9325, Verify: engine.VerifyName}) {
		out.TLS = client.TLS{} // nothing but defaults
	}
	return out
}

// clientRetrieve leaves out what is as it is by default.
func clientRetrieve(r engine.Retrieve) client.Retrieve {
	out := client.Retrieve{
		MoveDestination: r.MoveDestination, MoveDestinationPlain: r.MoveDestinationPlain, MoveOriginator: r.MoveOriginator,
		Methods: r.Methods, OtherAETitles: r.OtherAETitles, AddressRanges: r.AddressRanges, Direct: r.Direct,
	}
	for _, list := range []*[]string{&out.Methods, &out.OtherAETitles, &out.AddressRanges} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	if r.MovePatience != engine.DefaultMovePatience {
		out.MovePatience = int(r.MovePatience / time.Second)
	}
	return out
}

func clientServer(n engine.DICOMNode) client.Server {
	return client.Server{ID: n.ID, Paused: n.Paused, CreatedAt: n.CreatedAt, ServerSettings: clientSettings(n.Settings())}
}
