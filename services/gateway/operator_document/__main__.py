"""`python -m services.gateway.operator_document`: write `openapi.json` and the collection of requests beside the gateway's code."""

from services.gateway.console.documents import COLLECTION, DOCUMENT
from services.gateway.operator_document.written import collection_text, document_text

if __name__ == "__main__":
    DOCUMENT.write_text(document_text())
    COLLECTION.write_text(collection_text())
