#!/bin/bash

export TASTE_VERSION=v1
