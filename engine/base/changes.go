// SPDX-License-Identifier: AGPL-3.0-or-later

package base

import (
	"maps"
	"reflect"
	"slices"
)

// isEmpty reports whether a value is a list or map without entries, be it nil or not.
func isEmpty(v reflect.Value) bool {
	return (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
}

// ChangedFields names the fields in which two values of a struct differ; those of structs within it with a dot.
func ChangedFields(before, after any) []string {
	names := map[string]bool{}
	compareFields(names, "", reflect.ValueOf(before), reflect.ValueOf(after))
	return append([]string{}, slices.Sorted(maps.Keys(names))...) // none is [] in JSON
}

func compareFields(names map[string]bool, prefix string, before, after reflect.Value) {
	for field, value := range before.Fields() {
		other := after.FieldByIndex(field.Index)
		if reflect.DeepEqual(value.Interface(), other.Interface()) || isEmpty(value) && isEmpty(other) {
			continue
		}
		if name := prefix + field.Name; value.Kind() == reflect.Struct {
			compareFields(names, name+".", value, other)
		} else {
			names[name] = true
		}
	}
}

// SetFields names the fields of a change that are given.
func SetFields(fields map[string]bool) []string {
	maps.DeleteFunc(fields, func(_ string, set bool) bool { return !set })
	return slices.Sorted(maps.Keys(fields))
}
