// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, type ButtonProps } from '@mantine/core';
import { createLink } from '@tanstack/react-router';
import type { ComponentProps } from 'react';

type AnchorProps = ButtonProps & Omit<ComponentProps<'a'>, keyof ButtonProps>;

/** LinkButton is a link that looks like a button, and knows the routes and what their addresses may say. */
export const LinkButton = createLink((props: AnchorProps) => <Button component="a" {...props} />);
