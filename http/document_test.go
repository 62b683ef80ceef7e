// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"testing"

	"github.com/pb33f/libopenapi"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	"github.com/stretchr/testify/require"
)

// The document is what the schema of OpenAPI 3.1 says it must be: generators of clients and types take it.
func TestDocumentIsValid(t *testing.T) {
	s := newSite(t)
	doc, err := libopenapi.NewDocument([]byte(s.send("GET", "/api/v1/openapi.json", "").body))
	require.NoError(t, err)
	require.Equal(t, "3.1.0", doc.GetVersion())
	valid, faults := schema_validation.ValidateOpenAPIDocument(doc)
	for _, f := range faults {
		t.Error(f)
		for _, s := range f.SchemaValidationErrors {
			t.Error(s)
		}
	}
	require.True(t, valid)
	// The model resolves each reference, and each schema in it is one of JSON Schema 2020-12.
	_, err = doc.BuildV3Model()
	require.NoError(t, err)

	// The validator finds what is wrong.
	doc, err = libopenapi.NewDocument(
		[]byte(`{"openapi":"3.1.0","info":{"title":"x"},"paths":{"/x":{"get":{"responses":{"200":{}}}}}}`),
	)
	require.NoError(t, err)
	valid, _ = schema_validation.ValidateOpenAPIDocument(doc)
	require.False(t, valid)
}
