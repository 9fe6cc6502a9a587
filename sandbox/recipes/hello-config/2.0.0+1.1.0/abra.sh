#!/bin/bash

export MOTD_VERSION=v1
