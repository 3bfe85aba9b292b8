// Starts Express Gateway from the configuration folder in EG_CONFIG_DIR.
const gateway = require('express-gateway');
gateway().load(process.env.EG_CONFIG_DIR).run();
