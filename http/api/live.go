// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/http/rights"
	"github.com/adit-go/adit/http/route"
)

const liveTag = "Live events"

// LiveOperation names it in the document.
const LiveOperation = "live-events"

// LivePath is where http/live serves its socket.
const LivePath = route.Prefix + "/live"

// describeLive adds the socket of live events to the document, with the types of its messages: the document's schemas
// are what clients in other languages are generated from.
func (a *API) describeLive() {
	doc := a.routes.OpenAPI()
	schema := doc.Components.Schemas
	schema.RegisterTypeAlias(reflect.TypeFor[client.Problem](), reflect.TypeFor[problem.Problem]()) // the same in JSON
	request := schema.Schema(reflect.TypeFor[client.LiveRequest](), true, "")
	event := schema.Schema(reflect.TypeFor[client.LiveEvent](), true, "")
	responses := map[string]*huma.Response{"101": {
		Description: "The connection speaks WebSocket from here on: messages of the client are `LiveRequest`, those of " +
			"ADIT `LiveEvent`, each as JSON in a text message.",
		Content: map[string]*huma.MediaType{"application/json": {
			Schema: &huma.Schema{OneOf: []*huma.Schema{request, event}},
		}},
	}}
	doc.AddOperation(&huma.Operation{
		OperationID: LiveOperation, Method: http.MethodGet, Path: LivePath, Tags: []string{liveTag},
		Summary: "Be told of what changes (WebSocket)",
		Description: "One connection tells of any number of topics, whichever process of ADIT works on them. After a " +
			"subscription comes the present state, then each newer one, at most four times a second. Searches over it " +
			"show results as the server sends them, and end at the server when they are unsubscribed from. Connect " +
			"again after it was closed, and subscribe again. Codes of closing: 1001 ADIT ends, 1003 a binary message, " +
			"1007 no `LiveRequest`, 1008 too many topics or messages, 1009 more than 16 KiB, 1013 too busy or in " +
			"maintenance, 4401 the session or token has ended. " + rights.Of(http.MethodGet+" "+LivePath).String(),
		Metadata:  map[string]any{route.ExampleKey: `{"topic": "job:4711", "reload": true}`},
		Responses: responses, Errors: []int{401, 403, 426, 429}, Security: doc.Security,
	})
}
