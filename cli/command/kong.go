// SPDX-License-Identifier: AGPL-3.0-or-later

package command

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

// Child returns the command of a name below another one, nil if there is none.
func Child(n *kong.Node, name string) *kong.Node {
	for _, c := range n.Children {
		if c.Type == kong.CommandNode && c.Name == name {
			return c
		}
	}
	return nil
}

// WholeNumbers has kong read whole numbers, negative ones as well, and say in plain words what is none.
func WholeNumbers() kong.Option {
	return kong.OptionFunc(func(k *kong.Kong) error {
		for _, kind := range []reflect.Kind{reflect.Int, reflect.Int64} {
			if err := kong.KindMapper(kind, kong.MapperFunc(wholeNumber)).Apply(k); err != nil {
				return err
			}
		}
		return nil
	})
}

func wholeNumber(from *kong.DecodeContext, to reflect.Value) error {
	token := from.Scan.Pop()
	n, err := strconv.ParseInt(token.String(), 10, to.Type().Bits())
	switch {
	case err == nil:
		to.SetInt(n)
		return nil
	case token.IsEOL():
		return errors.New("give a whole number")
	case from.Value.Flag == nil && from.Value.Help != "": // it says what the number is of
		wanted := strings.ToLower(from.Value.Help[:1]) + strings.TrimSuffix(from.Value.Help[1:], ".")
		return fmt.Errorf("%q is not a number; give the %s", token, wanted)
	}
	return fmt.Errorf("%q is not a whole number", token)
}
