#!/bin/bash

export SITE_CONF_VERSION=v2
