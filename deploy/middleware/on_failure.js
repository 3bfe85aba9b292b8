// eh_dynamic_handler: writes a line in the log for each event.
var onFailure = new TykJS.TykEventHandlers.NewEventHandler({});

onFailure.NewHandler(function (event, context) {
  log(event.Type + " in " + context.APIID + ": " + event.Meta.Message + " (" + event.Meta.Key + ")");
});
