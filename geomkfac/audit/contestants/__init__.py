"""What is audited: rules over arrays, updates of modules, optimizers of libraries; each trains a twin."""
