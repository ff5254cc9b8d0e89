complete --keep-order --exclusive --command cococtl --arguments "(COCOCTL_COMPLETE=fish cococtl -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
