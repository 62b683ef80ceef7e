// SPDX-License-Identifier: AGPL-3.0-or-later

import { createTheme, type MantineThemeOverride } from '@mantine/core';
import { themeData } from './theme-data.mjs';

// Plain objects, and no imported components: what a page does not use stays out of the first load.
const small = { defaultProps: { size: 'sm' } };
const overlay = { portalProps: { target: '#overlays' } };
const shade = { backgroundOpacity: 0.45 };
const always = (vars: Record<string, unknown>) => () => vars;

export const theme = createTheme({
  ...(themeData as unknown as MantineThemeOverride),
  components: {
    Input: {
      vars: (_: unknown, props: { error?: unknown }) => ({
        wrapper: {
          '--input-height': '32px',
          '--input-fz': '0.8125rem',
          ...(props.error ? {} : { '--input-bd': 'var(--adit-ctl)' }),
        },
      }),
    },
    InputWrapper: {
      defaultProps: { inputWrapperOrder: ['label', 'input', 'description', 'error'] },
      vars: always({
        label: { '--input-label-size': '0.75rem' },
        description: { '--input-description-size': '0.75rem' },
        error: { '--input-error-size': '0.75rem' },
      }),
    },
    TextInput: small,
    Textarea: small,
    NumberInput: small,
    PasswordInput: {
      defaultProps: {
        size: 'sm',
        visibilityToggleButtonProps: { 'aria-label': 'Show the password', tabIndex: 0 },
      },
    },
    NativeSelect: small,
    Select: {
      defaultProps: { size: 'sm', allowDeselect: false, comboboxProps: { shadow: 'md', ...overlay } },
    },
    Button: {
      defaultProps: { size: 'sm' },
      vars: (_: unknown, props: { size?: string }) => ({
        root:
          props.size === 'sm'
            ? { '--button-height': '32px', '--button-fz': '0.8125rem', '--button-padding-x': '12px' }
            : {},
      }),
    },
    Checkbox: { defaultProps: { size: 'xs' }, classNames: { input: 'ctl' } },
    Radio: { defaultProps: { size: 'xs' }, classNames: { radio: 'ctl' } },
    Switch: { defaultProps: { size: 'sm', withThumbIndicator: false }, classNames: { track: 'switch' } },
    SegmentedControl: {
      defaultProps: { size: 'xs' },
      styles: { root: { background: 'var(--adit-sunken)', boxShadow: 'inset 0 0 0 1px var(--adit-line)' } },
    },
    ActionIcon: { defaultProps: { variant: 'subtle' } },
    Tooltip: {
      defaultProps: {
        openDelay: 250,
        multiline: true,
        maw: 320,
        fz: 12,
        events: { hover: true, focus: true, touch: true },
        ...overlay,
      },
    },
    Popover: { defaultProps: { shadow: 'md', ...overlay } },
    Menu: { defaultProps: { shadow: 'md', withInitialFocusPlaceholder: false, ...overlay } },
    Modal: {
      styles: { title: { fontWeight: 600 } },
      defaultProps: {
        centered: true,
        lockScroll: false,
        overlayProps: shade,
        closeButtonProps: { 'aria-label': 'Close' },
        ...overlay,
      },
    },
    Drawer: {
      defaultProps: { lockScroll: false, overlayProps: shade, closeButtonProps: { 'aria-label': 'Close' } },
    },
    Notification: { defaultProps: { closeButtonProps: { 'aria-label': 'Close' }, withBorder: true } },
    Tabs: { defaultProps: { keepMounted: false } },
  },
});
